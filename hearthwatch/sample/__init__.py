"""A made-up trading day with a crash, to try the program on without any data of one's own."""
