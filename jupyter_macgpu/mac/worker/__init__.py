"""The worker: the process on the Mac that runs a session's cells.

Runs on the Mac, in the environment that the session asked for: only the standard library, IPython
and `wire` may be imported here.

What runs where in it:

- The main thread runs an asyncio loop (`service`): cells, comm callbacks and operations on values,
  one at a time, in order. Metal and PyTorch do not bear two.
- The doorman (`doorman`) is a helper thread that lets a supervisor in at any time, also while a
  cell runs, and hands it the read ends of the output pipes.
- The ticker (`outlet`) is a helper thread that writes what a cell printed without a newline.

Two locks, always taken in this order: the outlet's (order of output; may be held while a pipe is
full) and the link's (never held while anything blocks). The doorman takes the second alone, so a
full pipe cannot stop a new supervisor from emptying it.
"""
