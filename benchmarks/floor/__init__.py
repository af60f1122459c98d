"""The floor: what this driver and this way of serving HTTP would allow if there were nothing else to do."""
