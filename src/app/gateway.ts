import type { Logger } from "pino";
import type { Mediator } from "../contracts/mediator.ts";
import type { ModelProvider } from "../contracts/model-provider.ts";
import type { Redactor } from "../domain/redact.ts";
import { BREAKER } from "../gateway/breaker.ts";
import type { SettableGateway } from "../gateway/gateway.ts";
import { HealthBook } from "../gateway/health-book.ts";
import { createMediator } from "../gateway/mediator.ts";
import { HealthSharing } from "../gateway/sharing.ts";
import type { SpendDesk } from "../gateway/spend.ts";
import type { Config } from "./config.ts";
import type { Database } from "./database.ts";
import { createModels, type ModelParts, modelSettings } from "./models.ts";
import type { Reloadable } from "./reload.ts";

/** The way to models, as this process has it. */
export interface Models {
  readonly gateway: SettableGateway;
  readonly mediator: Mediator;
  readonly settings: Reloadable;
  /** Hears what other processes know of models, where that is shared; never rejects. */
  join(): Promise<void>;
  leave(): Promise<void>;
}

interface Around {
  readonly database: Database;
  readonly log: Logger;
  readonly redactor: Redactor;
  readonly spendDesk: SpendDesk;
  readonly providers: readonly ModelProvider[];
  /** Name of this process among those of the database. */
  readonly self: string;
}

export async function openModels(config: Config, around: Around): Promise<Models> {
  const { clock } = around.database;
  const health = new HealthBook({ now: () => clock.now(), random: Math.random });
  const { providers, redactor, spendDesk: spend } = around;
  const parts: ModelParts = { clock, random: Math.random, providers, redactor, spend, health };
  const gateway = await createModels(config, parts);
  const { mediatorModel, mediatorMs } = config;
  const sharing = config.sharedHealth ? sharingOf(health, around) : null;
  return {
    gateway,
    mediator: createMediator({ gateway, clock, use: mediatorModel, timeoutMs: mediatorMs }),
    settings: modelSettings(gateway, parts),
    async join() {
      sharing?.start();
      await sharing?.look();
    },
    async leave() {
      await sharing?.stop();
    },
  };
}

function sharingOf(book: HealthBook, { database, log, self }: Around): HealthSharing {
  const { clock, health: board } = database;
  return new HealthSharing({ book, board, clock, random: Math.random, log, self, leaseMs: BREAKER.leaseMs });
}
