"""`fleet reconcile`: records follow nodes when nobody is there."""
