"""What scripts/bench runs: rig.py starts all, figures.py measures, report.py tells."""
