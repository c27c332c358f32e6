"""From a launch configuration to the job that it opens or continues."""
