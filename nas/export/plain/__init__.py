"""Plain PyTorch source of a network, generated from its traced graph.

The graph is read into a tree of modules (``reading``), chains become ``nn.Sequential`` (``chains``), modules of equal
structure become one class with arguments (``classes``), and the classes are written as text (``source``).
"""
