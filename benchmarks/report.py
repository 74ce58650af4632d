def write(runs): pass
