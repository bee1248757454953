"""The operator's hands and eyes: what is shown, what is held back, what is measured and logged."""
