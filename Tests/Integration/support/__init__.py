"""What the tests of the built programs share: the programs, a client, and waiting."""
