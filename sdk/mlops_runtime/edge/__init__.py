"""What an edge bundle carries beside its model: `predict.py` goes into it as it stands."""
