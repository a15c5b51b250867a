# Two processes at the same time: three seconds in all, not six.
import time

import shoal as multiprocessing


def job(q, a):
    time.sleep(3)
    print("this is test...%s" % (a))


if __name__ == "__main__":
    start = time.time()
    q = multiprocessing.Queue()
    p1 = multiprocessing.Process(target=job, args=(q, 1))
    p2 = multiprocessing.Process(target=job, args=(q, 2))
    p1.start()
    p2.start()
    p1.join()
    p2.join()
    end = time.time()
    print("run time is %s" % (end - start))
