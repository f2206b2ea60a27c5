"""Which hosts suit a cell, and which suits it best. Pure: no IO, no clock.

`labels`, `selectors`, `affinity` and `taints` have Kubernetes' meaning. `status` and `needs` are
what is known of a host and what a cell asks; `memory` and `heat` are rules of their own; `fit`
says why a host cannot take a cell, `terms` what speaks for and against one that can, by the table
in `weights`; `rank` puts all hosts in order, and `explain` shows the order to people.
"""
