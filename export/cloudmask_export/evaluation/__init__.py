"""How good masks are: labelled data, peers and scores behind one interface."""
