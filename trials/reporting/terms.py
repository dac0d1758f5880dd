"""Explanations of the numbers, symbols and intervals that dashboard and report show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from trials.analysis.membership import SURE


class Term(NamedTuple):
    """A word or symbol, what it means, and the pages of the dashboard that show it."""

    name: str
    text: str
    pages: Sequence[str]


#: Heading → its terms.
TERMS: Mapping[str, Sequence[Term]] = {
    "Values and intervals": (
        Term(
            "value [low, high], bars, whiskers",
            "A value with its 95 % interval: if everything were repeated many times, 95 % of such intervals would "
            "contain the true value. Where intervals overlap widely, the order of two trials may be chance.",
            ("study", "trials", "compare", "trial", "measurements"),
        ),
        Term(
            "Accuracy and its interval",
            "The share of right answers on the validation split, with Wilson's interval for this number of examples. "
            "After repeats with other seeds, the mean over the seeds.",
            ("study", "trials", "compare", "trial"),
        ),
        Term(
            "Latency",
            "Milliseconds of one run on the target, as measured on the file that would ship. Bursts of the trial and "
            "of a reference model alternate; their ratio times the calibrated time of the reference is the latency.",
            ("study", "trials", "compare", "trial", "measurements"),
        ),
        Term(
            "min_ratio, median_ratio",
            "How the ratio is taken. min_ratio divides the fastest run of the trial by the fastest run of the "
            "reference. Its dashed line is not the middle of the histogram of visits, because each visit has its own "
            "two fastest runs. median_ratio is the median of the visits.",
            ("trial",),
        ),
        Term(
            "Recorded, pooled",
            "The recorded latency is the one that cards, tables and fronts show. After a repeat it is pooled: "
            "derived anew from the samples of all measurements of the file that are not quarantined.",
            ("trial", "measurements"),
        ),
        Term(
            "Parameters, MACs",
            "Weights, and multiply-accumulate operations of one example; 1 MAC is 2 FLOPs.",
            ("trial",),
        ),
        Term(
            "Density",
            "The share of weights that are not zero; density 0.25 is sparsity 0.75.",
            ("study", "trial"),
        ),
        Term(
            "Speed-up",
            "Latency of the dense twin in fp32 divided by the latency of the trial, both measured on the same target. "
            "“Sparser but not faster” means that it is not above 1.",
            ("study", "trials", "trial"),
        ),
    ),
    "The front": (
        Term(
            "Pareto front",
            "The complete trials that no other complete trial dominates: equals or beats in every objective, and beats "
            "in one.",
            ("study", "trials"),
        ),
        Term(
            "On the front, probability",
            "How probably a trial is on the front, given the intervals of all trials: its share of 1,000 random draws. "
            f"From {SURE:g} on, its symbol is filled.",
            ("study", "trials", "compare", "trial"),
        ),
        Term("Filled diamond", "A trial that is almost certainly on the front.", ("study", "trials")),
        Term("Hollow diamond, hollow circle", "A trial that may or may not be on the front.", ("study", "trials")),
        Term("Hollow grey circle", "An infeasible trial: it certainly exceeds a limit.", ("study", "trials")),
        Term("Tick in the strip below", "A trial that was rejected before its training.", ("study", "trials")),
        Term("Dashed orange line", "A limit of the plan.", ("study", "trials")),
        Term(
            "Knee",
            "The compromise from which any gain in one objective costs much in another: the smallest sum of the "
            "objectives, each scaled to 0 for the best and 1 for the worst value of the front.",
            ("study",),
        ),
        Term(
            "Hypervolume",
            "How much of the space of the objectives the front dominates, as a share of the box that the values of the "
            "study, its replicates and its baselines span. 1 is best.",
            ("study",),
        ),
        Term(
            "Verdict",
            "Compares the hypervolume of the search with that of its baseline after equal numbers of trials. One run "
            "each proves little.",
            ("study",),
        ),
        Term(
            "Probability to be better",
            "For two trials: how probably the first is truly better, given both intervals. 0.5 is undecided.",
            ("compare",),
        ),
    ),
    "States of a trial": (
        Term("complete", "Trained and measured; it certainly exceeds no limit.", ("trials",)),
        Term("infeasible", "It certainly exceeds a limit, even with the better end of its interval.", ("trials",)),
        Term("measured_only", "Measured, and not chosen for training.", ("trials",)),
        Term("paused", "Its training waits at a rung, and continues if it is among the best there.", ("trials",)),
        Term(
            "stopped",
            "Its training ended at a rung, because others were better there, or it was not finished when its study was "
            "stopped or the study's time was spent.",
            ("trials",),
        ),
        Term("failed", "A job failed; the page of the trial shows the error.", ("trials", "activity")),
    ),
    "States of a study": (
        Term("preparing", "Targets are calibrated and limits are determined; no trial has started.", ("studies",)),
        Term("running", "A process runs it. Its phase says what it does now.", ("studies", "activity")),
        Term(
            "waiting",
            "It has not begun, because it runs after other studies of its group. If these were interrupted, nas resume "
            "begins it.",
            ("studies", "study"),
        ),
        Term("paused", "Ended by nas pause, to be continued with nas resume.", ("studies", "study")),
        Term(
            "interrupted",
            "The process that ran it has ended before the study: by Ctrl-C, a crash, a fault such as a full disk, or "
            "because many trials failed with the same error. Nothing is lost, and nas resume continues it.",
            ("studies", "study"),
        ),
        Term(
            "stopped",
            "Ended by nas stop with the results that it had. nas resume runs the rest of its budget, and "
            "nas extend the rest and more.",
            ("studies", "study"),
        ),
        Term("complete", "The budget is spent.", ("studies",)),
        Term(
            "exhausted", "No suggestions are left, because most were networks that the study already has.", ("studies",)
        ),
        Term(
            "Phase",
            "What a running study does besides training new trials, such as second looks: repeated measurements at its "
            "end, where the front is uncertain.",
            ("activity",),
        ),
        Term("Tag, note", "Words that people gave a study or a trial; they change nothing.", ("study", "trials")),
    ),
    "Measurements": (
        Term(
            "Canary, drift",
            "A canary is a short check of a reference model. Drift +12 % means that it was 12 % slower than when the "
            "target was calibrated.",
            ("measurements",),
        ),
        Term("Throttled", "Share of the time for which the target was kept from its core.", ("measurements",)),
        Term("good", "A good canary followed the measurement.", ("measurements",)),
        Term("unverified", "No canary has followed the measurement yet.", ("measurements",)),
        Term(
            "quarantined",
            "A bad canary followed the measurement. It counts nowhere and is repeated.",
            ("measurements",),
        ),
        Term("gate", "The first measurement of a trial, before its training.", ("trial", "measurements")),
        Term("final", "The measurement after a training that changed the file's structure.", ("trial", "measurements")),
        Term(
            "audit", "A second measurement of an unchanged structure, of a random share of trials.", ("measurements",)
        ),
        Term("remeasure", "A repeat at the end, where the front is uncertain.", ("measurements",)),
        Term(
            "Disturbed",
            "Another process used the measuring core, or the reference was slower than calibrated.",
            ("measurements",),
        ),
    ),
    "The network": (
        Term(
            "Columns and arrows",
            "A column is a stage, a frame in it a block. Arrows follow the order of execution; skip connections are "
            "not stored and not drawn. “× 12” stands for 12 equal blocks in a row.",
            ("trial",),
        ),
        Term("Blue fill", "The darker, the fewer bits; the label says how many.", ("trial",)),
        Term("Dashed border", "Some of the weights are zero; the label says the density.", ("trial",)),
        Term(
            "Microseconds, wide border",
            "Time in a profiled run, for all repetitions of a block together. The border is orange from a tenth of the "
            "time on. The profiler takes time itself, so the sum is more than the latency.",
            ("trial",),
        ),
    ),
    "Choices": (
        Term(
            "Importance",
            "PED-ANOVA: how well a choice separates the best tenth of the trials from the others. The importances "
            "for one objective sum to 1.",
            ("choices",),
        ),
        Term(
            "Effect of an answer",
            "Mean over the complete trials with this answer. A search proposes good answers together, so a "
            "difference is not always caused by this choice alone.",
            ("choices",),
        ),
        Term(
            "Rank correlation",
            "Spearman's rho or Kendall's tau: 1 for equal orders, 0 for unrelated ones, −1 for reverse ones.",
            ("study", "activity"),
        ),
    ),
}
