"""The chaos matrix: the deployed system on the embedded cloud, one thing broken at a time, while a stop must fire."""
