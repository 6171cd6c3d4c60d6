// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The portable hand-over: one thread per agent, one semaphore each, exactly one of them running.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Reliability", "CA1001", Justification = "lives as long as the process")]
internal sealed class ThreadHandover : IHandover
{
    private readonly SemaphoreSlim main = new(0);
    private readonly SemaphoreSlim[] turn = new SemaphoreSlim[Limits.Agents];
    private readonly bool[] midway = new bool[Limits.Agents];
    private int workers;
    private bool unwinding;

    public void Run(int agents)
    {
        for (; workers < agents; workers++) Start(workers);
        for (int a = 0; a < agents && !Interleavings.Run.Stopping; a++) Enter(a);
        Interleavings.Run.Current = -1;
        Interleavings.Run.AllStarted();
        while (Interleavings.Run.Next >= 0) Enter(Interleavings.Run.Next);
        unwinding = true;
        for (int a = 0; a < agents; a++)
            if (midway[a]) Enter(a);
        unwinding = false;
    }

    private void Enter(int agent)
    {
        Interleavings.Run.Current = agent;
        turn[agent].Release();
        main.Wait();
    }

    private void Start(int agent)
    {
        turn[agent] = new SemaphoreSlim(0);
        new Thread(() => Work(agent), 1 << 20) { IsBackground = true, Name = $"explorer agent {agent}" }.Start();
    }

    private void Work(int agent)
    {
        for (; ; )
        {
            turn[agent].Wait();
            midway[agent] = true;
            try
            {
                AgentRoot.Enter(agent);
            }
            catch (AbandonedException)
            {
                // the execution is over for this agent
            }
            midway[agent] = false;
            main.Release();
        }
    }

    public void SwitchFrom(int agent)
    {
        int next = Interleavings.Run.Next;
        Interleavings.Run.Current = next;
        if (next >= 0) turn[next].Release();
        else main.Release();
        turn[agent].Wait();
        if (unwinding) throw new AbandonedException();
    }

    [DoesNotReturn]
    public void Abandon(int agent) => throw new AbandonedException();
}
