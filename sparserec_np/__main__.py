"""The command line for those who call it by the package: ``python -m sparserec_np``."""

from sparserec_np.cli import main

if __name__ == "__main__":
    main(prog_name="sparserec-np")
