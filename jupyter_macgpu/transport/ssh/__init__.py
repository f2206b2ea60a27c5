"""The way to a host over SSH: fabric, with the checks and the speed that it lacks by itself."""
