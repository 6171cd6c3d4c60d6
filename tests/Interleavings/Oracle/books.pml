/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The race of the mail of 2012-02-16, "memory book keeping and lru_lock splitting", written from its text and not from our code: a catcher
 * takes a page off the list of the book it is in; a switcher moves it to another book. An oracle for the cases B1 and B2.
 *
 *   spin -search -DHOLD books.pml         the switcher holds the old lock; -DWAIT waits for it; -DWAIT -DNOFENCE without a full barrier;
 *                                         none of them: it stores page->book and nothing else
 *   -DNAIVE    the catcher locks and rechecks PageLRU only, as quoted; else it looks at page->book again under the lock
 *   -DTSO      the switcher's store to page->book waits in a buffer
 *   -DCATCHERS=2 -DMOVES=2 more of either
 */
#ifndef CATCHERS
#define CATCHERS 1
#endif
#ifndef MOVES
#define MOVES 1
#endif
#define A 0
#define B 1
#define NOWHERE 2

byte book = A;          /* page->book */
bool lru = true;        /* PageLRU */
byte list = A;          /* whose list the page is on, in truth */
bool held[2];           /* the books' locks */
bool buffered; byte value; /* the switcher's store buffer: one store to page->book */

#define lock(b)    atomic { !held[b] -> held[b] = true }
#define unlock(b)  held[b] = false
#define fence      !buffered

/* A locked operation of the switcher waits for its buffer. */
#define locksw(b)  atomic { !held[b] && !buffered -> held[b] = true }

inline find(b) {
	do
	:: b = book; lock(b);
#ifdef NAIVE
	   break
#else
	   if
	   :: book == b -> break
	   :: else -> unlock(b)
	   fi
#endif
	od
}

proctype catcher() {
	byte b;
	find(b);
	if
	:: lru ->
		lru = false;
		assert(list == b);     /* deletes from the list whose lock it holds */
		list = NOWHERE;
		unlock(b);
		find(b);               /* puts it back */
		list = b; lru = true
	:: else
	fi;
	unlock(b)
}

proctype switcher() {
	byte old, new, n;
	do
	:: n == MOVES -> break
	:: else ->
		n++;
		fence; old = book;
		locksw(old);
		if
		:: !lru -> unlock(old)
		:: else ->
			lru = false;
			assert(list == old);
			list = NOWHERE;
			unlock(old);
			new = 1 - old;
#ifdef HOLD
			locksw(old);
#endif
#ifdef TSO
			atomic { value = new; buffered = true };
#else
			book = new;
#endif
#if defined(WAIT) && !defined(NOFENCE)
			fence;
#endif
#ifdef WAIT
			!held[old];
#endif
#ifdef HOLD
			fence; unlock(old);  /* the release drains behind the store: first in, first out */
#endif
			locksw(new);
			list = new; lru = true;
			unlock(new)
		fi
	od
}

proctype buffer() {
end:	do
	:: atomic { buffered -> book = value; buffered = false }
	od
}

init {
	byte i;
	atomic {
		run switcher();
#ifdef TSO
		run buffer();
#endif
		do
		:: i < CATCHERS -> run catcher(); i++
		:: else -> break
		od
	}
}
