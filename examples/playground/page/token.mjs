// token.mjs: in place of the dashboard's, on the pages of the demo and the playground: people and their tokens come from the server.
import { createPicker } from './picker.mjs';

export const getToken = createPicker(await (await fetch('people.json')).json());
