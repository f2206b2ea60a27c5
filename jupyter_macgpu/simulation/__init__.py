"""Macs that are not there: hosts on this machine that say of themselves what recorded Macs said.

Cells run on this machine. What is simulated is how the hosts are: their model, load, heat, memory,
owner, sleep and crashes. Whatever shows them shows the label ``simulated=true``.
"""
