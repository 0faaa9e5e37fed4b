import sys
from pathlib import Path

# import-mode=importlib keeps test folders off sys.path; the rooms of this folder are shared by its files.
sys.path.insert(0, str(Path(__file__).parent))
