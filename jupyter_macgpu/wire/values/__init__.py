"""What a variable means on the way to a Mac and back.

Call by copy-restore over an object graph, once per run:

1. `capture` (notebook): all inputs go through one pickler. Its memo numbers
   every object that it met; the far unpickler numbers them alike, so both sides
   hold a table *index <-> own object* without sending one.
2. `receive` (worker): loads, keeps the table, takes a snapshot of everything
   mutable in it, binds the names.
3. `Received.changes` (worker, after the cell): pickles the parts that differ from
   their snapshot and the names that were bound. The pickler starts with the table
   in its memo, so an object that came from the notebook goes back as its index.
4. `apply` (notebook): fills its own objects in place and binds the names. Whatever
   else held one of these objects sees the change, as it would have at home.

Rule 1: nothing here does IO or reads a clock. Bytes come in, bytes go out.

Rule 2: numpy, torch, mlx and pandas are touched only where the process has already
imported them, or to rebuild a value that is made of them.

Rule 3: what cannot be carried over as it was is said in a note, never dropped.
"""
