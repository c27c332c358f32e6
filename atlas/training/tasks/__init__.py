"""Training tasks: sequence classification and causal language modelling."""
