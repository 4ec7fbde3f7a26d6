"""From a model to numbers one can believe: answers, outcomes, intervals, Table 6 (paper, section 5.3)."""
