# A pool with a worker for each core; Pool(3) has three.
import shoal as multiprocessing


def job(a):
    return a * a


def multipro():
    po = multiprocessing.Pool()
    res = po.map(job, range(10))
    print(res)


if __name__ == "__main__":
    multipro()
