"""Files of motion that other programs read. One module per format; docs/files.md says what each file holds.

All writers put a file there whole or not at all, give the same bytes for the same data, and raise ValueError for what their
format cannot say. Times in files are seconds since `origin`, the stamp of the recording's first image, so that everybody's
files of one recording share one time axis; without `origin` they count from the first frame of the data.
"""
