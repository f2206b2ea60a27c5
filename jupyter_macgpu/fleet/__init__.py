"""The machines that a user may use: who they are, as a file says it."""
