"""Who is called: a file each, each turning a plan into a call whose measurements stay readable at any moment."""
