"""cloc, compiled once and forked for each count.

perl takes longer to compile cloc than cloc takes to count a small repository. So a refresh of
several repositories, and the parent of the workers, start one process in which perl compiles cloc
and stops just before its first statement (`ForkServer.pm`). A count requests a fork of it over a
socket in a private folder (`fork_server.py`); the fork runs cloc as if it had just been started,
within the same limits. Where that process has ended, or cloc's file has changed, a count starts
cloc itself. PRELOAD_CLOC=false turns this off.
"""
