"""How bytes travel between the notebook and a host."""
