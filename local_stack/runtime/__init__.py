"""Built functions started as Lambda starts them: in a process of their own, with what they were given and no more."""
