"""Does a file compute what its network computes?"""
