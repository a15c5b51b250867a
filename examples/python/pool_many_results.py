# Many tasks, and then their results.
import shoal as multiprocessing


def job(a):
    return a


def multipro():
    po = multiprocessing.Pool()
    res = [po.apply_async(job, (i,)) for i in range(10)]
    print([res.get() for res in res])


if __name__ == "__main__":
    multipro()
