"""The webmail in Chromium before a whole stack: sizes, first list, input to paint, scrolling.

`measure` is the part `webmail` of `make bench`. A figure is taken at full speed of the CPU and at
a quarter of it (CDP Emulation.setCPUThrottlingRate); budgets are in budgets.py.
"""
