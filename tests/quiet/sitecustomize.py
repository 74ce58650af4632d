"""For the processes that tests start: whether kernels have to be compiled is no matter of what they say."""

import logging

logging.getLogger("sparserec_np.compilation").setLevel(logging.ERROR)
