from multiprocessing.pool import *
from multiprocessing.pool import ApplyResult as ApplyResult, AsyncResult as AsyncResult, MapResult as MapResult
from multiprocessing.pool import IMapIterator as IMapIterator, IMapUnorderedIterator as IMapUnorderedIterator
