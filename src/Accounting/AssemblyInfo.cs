// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

[module: SkipLocalsInit] // batches of page pointers live on the stack and are filled before they are read
