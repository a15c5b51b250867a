"""The standard library's ways to start a child, with a place in the family kept for it from before it starts."""
import atexit
import multiprocessing.forkserver
import multiprocessing.popen_fork
import multiprocessing.popen_forkserver
import multiprocessing.popen_spawn_posix
import os
import select
import signal
from multiprocessing import util

from . import _core, _family, _interrupt


class _Placed:
    """All that the parent has handles of when it starts a child lives on for the child, in its place. The child has a
    ticket: it dies with the main process. (Not with its parent, where that is another: it never did.)
    """

    _place = 0
    _ticket = None

    def _launch(self, process_obj):
        given = getattr(process_obj, "_place", None)
        if given is not None:  # a pool's worker
            self._place, self._ticket = given
            try:
                super()._launch(process_obj)
            finally:
                self._place, self._ticket = 0, None
            return
        self._place = _core.family_expect()
        try:
            self._ticket = _core.family_ticket()
            super()._launch(process_obj)
        except BaseException:
            self._leave()
            raise
        finally:
            if self._ticket is not None:
                _core.family_close_ticket(self._ticket)
                self._ticket = None

    def _leave(self):
        """The child has ended: the place goes back, where it never took it."""
        place, self._place = self._place, 0
        if place:
            _core.family_cancel(place)

    def poll(self, flag=os.WNOHANG):
        code = super().poll(flag)
        if code is not None and self._place:
            self._leave()
        return code


class _Forked:
    """Forks, having said what the fork takes. Where it cannot, nothing stays open."""

    def _launch(self, process_obj):
        with _interrupt.Held() as held:
            self._fork(process_obj, held.mask)

    def _fork(self, process_obj, mask):
        ends = []
        try:
            ends += os.pipe()  # the child writes nothing into this, so its parent learns of its end
            ends += os.pipe()  # and the other way round
            _core.family_next_fork(self._place, self._ticket)
            self.pid = os.fork()
            if self.pid == 0:
                _run(process_obj, mask, *ends)
            child_ended, child_lives, parent_ended, parent_lives = ends
            self.finalizer = util.Finalize(self, util.close_fds, (child_ended, parent_lives))
            self.sentinel = child_ended
            ends = child_lives, parent_ended
        finally:
            _core.family_next_fork(0, -1)
            util.close_fds(*ends)


def _run(process_obj, mask, child_ended, child_lives, parent_ended, parent_lives):
    """Be the child, to the end. What it registers with atexit runs at its end where the standard library does that."""
    runs_exit_functions = hasattr(multiprocessing.popen_fork, "atexit")
    code = 1
    try:
        if runs_exit_functions:
            atexit._clear()
            atexit.register(util._exit_function)
        util.close_fds(child_ended, parent_lives)
        _interrupt.forget()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = process_obj._bootstrap(parent_sentinel=parent_ended)
    finally:
        if runs_exit_functions:
            atexit._run_exitfuncs()
        os._exit(code)


class _Waited:
    """Notes how its child ended before the system forgets it: an interrupt at that moment loses nothing."""

    def poll(self, flag=os.WNOHANG):
        if self.returncode is None:
            try:
                end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | flag)
                if end is None:
                    return None
                self.returncode = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
                os.waitpid(self.pid, 0)
            except OSError:  # no child of this process, or one that somebody else has waited for
                pass
        return self.returncode


class ForkPopen(_Placed, _Forked, _Waited, multiprocessing.popen_fork.Popen):
    pass


class SpawnPopen(_Placed, _Waited, multiprocessing.popen_spawn_posix.Popen):
    pass


class _Served:
    """Starts the fork server, where there is none, as one of the family."""

    def _launch(self, process_obj):
        with _family.in_environment():
            multiprocessing.forkserver.ensure_running()
        super()._launch(process_obj)


def adopt_forkserver():
    """In a forked child: go on with the parent's fork server for as long as that lives."""
    server = multiprocessing.forkserver._forkserver
    if server._forkserver_pid is None:
        return
    try:
        life = os.pidfd_open(server._forkserver_pid)
    except OSError:
        life = None

    def ensure_running():
        if life is not None and not select.select([life], [], [], 0)[0]:
            return
        if server._forkserver_pid == adopted:  # no child of this process: not to be waited for
            server._forkserver_pid = server._forkserver_address = None
        type(server).ensure_running(server)

    adopted = server._forkserver_pid
    server.ensure_running = multiprocessing.forkserver.ensure_running = ensure_running


class ForkServerPopen(_Placed, _Served, multiprocessing.popen_forkserver.Popen):
    pass
