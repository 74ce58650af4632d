"""The model file and the recommender that reads it; NumPy and nothing heavier."""

from sparserec_np.runtime.ids import IdMap
from sparserec_np.runtime.model_data import ModelData, SeenItems
from sparserec_np.runtime.model_file import load_model, save_model
from sparserec_np.runtime.recommender import Recommender
from sparserec_np.runtime.table_data import TableData
from sparserec_np.runtime.topk import TopK

__all__ = [
    "IdMap",
    "ModelData",
    "Recommender",
    "SeenItems",
    "TableData",
    "TopK",
    "load_model",
    "save_model",
]
