import sys
from pathlib import Path

# import-mode=importlib keeps test folders off sys.path; the zoo and the refusals of this folder are shared.
sys.path.insert(0, str(Path(__file__).parent))
