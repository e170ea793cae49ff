"""Generators of data files of the service; run by hand when their sources change.

The service only reads the files that they write.
"""
