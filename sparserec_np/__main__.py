"""The command line for those who call it by the package: ``python -m sparserec_np``."""

from sparserec_np.entry import run

if __name__ == "__main__":
    run()
