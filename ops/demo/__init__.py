"""One county's day, played with real processes: `python3 run.py demo`.

`play` is the whole of it; cast.py says who and what, scene.py sets up, day.py tells the story.
"""
