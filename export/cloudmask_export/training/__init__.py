"""Training: from labelled and simulated images to the weights of a network.

Only the modules that say so need torch (extra `train`); labels and clouds are numpy.
"""
