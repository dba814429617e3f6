"""The evaluation of xhqa: question sets, measures, runs and reports. Installed as xhqa_eval."""
