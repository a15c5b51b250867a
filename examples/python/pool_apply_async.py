# One task; even a single argument stands in a tuple.
import shoal as multiprocessing


def job(a):
    return a * a


def multipro():
    po = multiprocessing.Pool()
    res = po.apply_async(job, (2,))
    print(res.get())


if __name__ == "__main__":
    multipro()
