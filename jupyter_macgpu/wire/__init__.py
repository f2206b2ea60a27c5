"""What both sides say. Shipped to the Mac with `mac`. Pure: no IO, no clock."""
