"""Known bugs, put into a copy of the project one at a time, to show that the simulation or a test notices each."""
