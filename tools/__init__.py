"""Makes the data files that the service ships; run by hand when their sources change.

These are neither benchmarks, which time what is there, nor part of the service, which only reads
what they have written.
"""
