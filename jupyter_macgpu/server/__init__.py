"""The server half of the sidebar: a Jupyter server extension over the fleet.

It holds no truth. What it shows is what hosts say, and after a restart they say it again; notebooks
need nothing of it.
"""
